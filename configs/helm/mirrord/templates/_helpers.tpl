{{- define "mirrord.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "mirrord.fullname" -}}
{{- $name := include "mirrord.name" . -}}
{{- $own := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $own | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* What never changes between releases: the Deployment's selector cannot be changed. */ -}}
{{- define "mirrord.selectorLabels" -}}
app.kubernetes.io/name: {{ include "mirrord.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "mirrord.labels" -}}
{{ include "mirrord.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "mirrord.metadata" -}}
name: {{ include "mirrord.fullname" . }}
labels:
  {{- include "mirrord.labels" . | nindent 2 }}
{{- end -}}

{{- define "mirrord.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{- printf "%s:%s" .Values.image.repository $tag -}}
{{- with .Values.image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{- define "mirrord.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "mirrord.fullname" .) "") -}}
{{- end -}}

{{- define "mirrord.claimName" -}}
{{- .Values.persistence.existingClaim | default (include "mirrord.fullname" .) -}}
{{- end -}}

{{- /* Where the journal is; nothing for SQLite in the state directory. */ -}}
{{- define "mirrord.stateVariable" -}}
{{- if .Values.postgresql.existingSecret -}}
- name: MIRRORD_STATE
  valueFrom:
    secretKeyRef: {name: {{ .Values.postgresql.existingSecret }}, key: {{ .Values.postgresql.key | quote }}}
{{- end -}}
{{- end -}}

{{- /* What every container of mirrord may do. */ -}}
{{- define "mirrord.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* Certificates of a private authority, as a volume. */ -}}
{{- define "mirrord.caVolume" -}}
{{- with .Values.ca.secret -}}
- name: ca
  secret: {secretName: {{ . }}, items: [{key: {{ $.Values.ca.key }}, path: {{ $.Values.ca.key }}}]}
{{- end -}}
{{- with .Values.ca.configMap -}}
- name: ca
  configMap: {name: {{ . }}, items: [{key: {{ $.Values.ca.key }}, path: {{ $.Values.ca.key }}}]}
{{- end -}}
{{- end -}}

{{- /* The host names that page and API answer to, for MIRRORD_HOSTS. */ -}}
{{- define "mirrord.hosts" -}}
{{- $name := include "mirrord.fullname" . -}}
{{- $names := list $name (printf "%s.%s" $name .Release.Namespace) "*.svc" "*.svc.cluster.local" -}}
{{- if .Values.ingress.enabled }}{{ $names = append $names .Values.ingress.host }}{{ end -}}
{{- concat $names (.Values.daemon.hosts | default list) | uniq | join "," -}}
{{- end -}}

{{- /* Bytes of `512Mi` (Kubernetes), `256MiB` (mirrord) or a number. */ -}}
{{- define "mirrord.bytes" -}}
{{- $units := dict "" 1 "B" 1 "KiB" 1024 "MiB" 1048576 "GiB" 1073741824 "TiB" 1099511627776 -}}
{{- $units = merge $units (dict "KB" 1e3 "kB" 1e3 "MB" 1e6 "GB" 1e9 "TB" 1e12 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12) -}}
{{- $units = merge $units (dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776) -}}
{{- $text := kindIs "string" . | ternary . (printf "%.0f" (float64 .)) -}}
{{- $number := regexFind "^[0-9]+([.][0-9]+)?" $text -}}
{{- $unit := trimPrefix $number $text | trim -}}
{{- if or (not $number) (not (hasKey $units $unit)) }}{{ fail (printf "%q is not a size: write it like 512Mi or 256MiB" $text) }}{{ end -}}
{{- mulf (float64 $number) (get $units $unit) | int64 -}}
{{- end -}}

{{- /* Seconds of a duration of mirrord (`25s`, `1m30s`), rounded up. */ -}}
{{- define "mirrord.seconds" -}}
{{- $units := dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0 "d" 86400.0 "w" 604800.0 -}}
{{- $sum := 0.0 -}}
{{- range regexFindAll "[0-9.]+[a-z]+" . -1 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- $sum = addf $sum (mulf (trimSuffix $unit . | float64) (get $units $unit)) -}}
{{- end -}}
{{- ceil $sum | int64 -}}
{{- end -}}

{{- /* What a JSON Schema cannot tell of the values, or not clearly: each fault ends the rendering with its remedy. */ -}}
{{- define "mirrord.check" -}}
{{- include "mirrord.checkName" . -}}
{{- include "mirrord.checkAlternatives" . -}}
{{- include "mirrord.checkReplicas" . -}}
{{- include "mirrord.checkDaemon" . -}}
{{- include "mirrord.checkMemory" . -}}
{{- include "mirrord.checkManifests" . -}}
{{- include "mirrord.checkFolders" . -}}
{{- include "mirrord.checkEnv" . -}}
{{- include "mirrord.checkLabels" . -}}
{{- end -}}

{{- /* The name of the Service, which is stricter than the others (RFC 1035). A release may be called 1.2. */ -}}
{{- define "mirrord.checkName" -}}
{{- $name := include "mirrord.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "fullnameOverride: a Service cannot be called %s: set a name of a-z, 0-9 and - that begins with a letter" $name) -}}
{{- end -}}
{{- end -}}

{{- define "mirrord.checkAlternatives" -}}
{{- $claim := .Values.persistence -}}
{{- if and $claim.existingClaim (or $claim.storageClass $claim.annotations) -}}
{{- fail "persistence: two claims: existingClaim names one that you made, storageClass and annotations are for one of the chart; remove one or the other" -}}
{{- end -}}
{{- if and .Values.serviceAccount.annotations (not .Values.serviceAccount.create) -}}
{{- fail "serviceAccount: annotations are for an account of the chart: set create to true, or annotate the existing one" -}}
{{- end -}}
{{- if and .Values.ca.secret .Values.ca.configMap -}}
{{- fail "ca: secret or configMap, not both" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress: host is required: mirrord answers only to host names that it knows" -}}
{{- end -}}
{{- if ne (empty .Values.podMonitor.tokenSecret.name) (empty .Values.podMonitor.tokenSecret.key) -}}
{{- fail "podMonitor: tokenSecret needs both name and key" -}}
{{- end -}}
{{- end -}}

{{- define "mirrord.checkReplicas" -}}
{{- $claim := .Values.persistence -}}
{{- if .Values.postgresql.existingSecret -}}
{{- if or $claim.existingClaim $claim.storageClass $claim.annotations -}}
{{- fail "persistence: with postgresql.existingSecret there is no claim: remove existingClaim, storageClass and annotations" -}}
{{- end -}}
{{- else if gt (int .Values.replicas) 1 -}}
{{- fail (printf "replicas: %d pods cannot share a journal in SQLite: set postgresql.existingSecret, or replicas to 1" (int .Values.replicas)) -}}
{{- end -}}
{{- if and .Values.podDisruptionBudget.enabled (gt (int .Values.replicas) 1) -}}
{{- fail "podDisruptionBudget: only the leader of several replicas is ready, so a budget blocks the drain of its node, or nothing: set enabled to false" -}}
{{- end -}}
{{- end -}}

{{- define "mirrord.checkDaemon" -}}
{{- range $name := list "listen" "state" -}}
{{- if hasKey $.Values.daemon $name -}}
{{- fail (printf "daemon: the chart sets %s (port 8420 of the pod, the journal on the claim or by the value postgresql): remove it" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "mirrord.checkMemory" -}}
{{- $buffers := .Values.daemon.memory_limit | default "256MiB" -}}
{{- $needed := add (include "mirrord.bytes" $buffers) 167772160 -}}
{{- with dig "limits" "memory" "" .Values.resources -}}
{{- if lt (include "mirrord.bytes" . | int64) $needed -}}
{{- fail (printf "resources: a memory limit of %v is too little for daemon.memory_limit (%v) and 160 MiB: set it to %dMi or more" . $buffers (div (add $needed 1048575) 1048576)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "mirrord.checkManifests" -}}
{{- if hasKey .Values.manifests "daemon.yaml" -}}
{{- fail "manifests: daemon.yaml is the file of the value `daemon`: use that, or another name" -}}
{{- end -}}
{{- range $file, $manifest := .Values.manifests -}}
{{- $parsed := kindIs "string" $manifest | ternary (toString $manifest | fromYaml) $manifest -}}
{{- with $parsed.Error }}{{ fail (printf "manifests: %s is not YAML: %v" $file .) }}{{ end -}}
{{- if hasKey $parsed "daemon" -}}
{{- fail (printf "manifests: %s has a `daemon` block: move it to the value `daemon`" $file) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "mirrord.checkFolders" -}}
{{- $names := list -}}
{{- $roots := .Values.daemon.file_roots -}}
{{- range $folder := .Values.folders -}}
{{- if has .name $names }}{{ fail (printf "folders: two are called %s: rename one" .name) }}{{ end -}}
{{- $names = append $names .name -}}
{{- $allowed := empty $roots -}}
{{- range $roots -}}
{{- if hasPrefix (printf "%s/" (trimSuffix "/" .)) (printf "%s/" $folder.mountPath) }}{{ $allowed = true }}{{ end -}}
{{- end -}}
{{- if not $allowed -}}
{{- fail (printf "folders: %s is outside of daemon.file_roots (%s): mount it below one of them, or add its directory" .mountPath (join ", " $roots)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "mirrord.checkEnv" -}}
{{- $instead := dict "MIRRORD_LISTEN" "service.port" "MIRRORD_HOSTS" "daemon.hosts" "MIRRORD_STATE" "postgresql" -}}
{{- $instead = merge $instead (dict "STATE_DIRECTORY" "persistence" "MIRRORD_LOG_FORMAT" "daemon.log") -}}
{{- range $field := list "memory_limit" "shutdown_grace" "file_roots" -}}
{{- $_ := set $instead (printf "MIRRORD_%s" (upper $field)) (printf "daemon.%s" $field) -}}
{{- end -}}
{{- range .Values.env -}}
{{- if hasKey $instead .name }}{{ fail (printf "env: the chart sets %s: use the value %s" .name (get $instead .name)) }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "mirrord.checkLabels" -}}
{{- $given := dict "podLabels" .Values.podLabels "podMonitor" .Values.podMonitor.labels "prometheusRule" .Values.prometheusRule.labels -}}
{{- range $value, $labels := $given -}}
{{- range $label, $_ := include "mirrord.labels" $ | fromYaml -}}
{{- if hasKey $labels $label }}{{ fail (printf "%s: the chart sets the label %s: remove it" $value $label) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

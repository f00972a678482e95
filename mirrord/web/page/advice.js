// What each reason means and what to do about it, and what proved a copy. Texts only.

const ADVICE = {
  SourceMissing: ["The source answered that it has no such file.", "correct the address in the manifest, or remove the entry. mirrord asks again at every check."],
  SourceDenied: ["The source refused to give the file.", "check the headers, the token or the file's permissions: the daemon's user needs to read it."],
  SourceUnavailable: ["The source did not answer, or answered that it cannot now.", "nothing, if it passes: mirrord tries again by itself. If it stays, check the source, DNS and proxy."],
  SourceChanged: ["The source was changed while it was copied, so that the copy was discarded.", "nothing: mirrord copies the new revision. If it repeats, publish files by renaming them into place."],
  SourceRefused: ["A rule of the manifest, or of mirrord, refuses what the source offers.", "read the message: correct the rule, or the source."],
  StillGrowing: ["The file is still written, or was changed a short time ago.", "nothing: it is copied once it has not changed for the settle time."],
  NoMarker: ["The file waits for its marker file.", "let the program that writes the file also write the marker."],
  StoreDenied: ["The store refused the credentials, or they lack a right.", "check the credentials of the store in the manifest, and the rights that the message names. The command mirrord doctor checks them."],
  StoreUnavailable: ["The store did not answer, or answered that it cannot now.", "nothing, if it passes: mirrord tries again by itself. If it stays, check the store's endpoint. The command mirrord doctor checks it."],
  StoreRefused: ["The store refused the request, and would refuse it again.", "read the message: the store may lack a feature that the entry asks for."],
  BucketMissing: ["The store has no such bucket.", "create the bucket, declare it with create: true, or correct its name in the manifest."],
  Conflict: ["Another program, or another entry, has the object at this key.", "choose another key, or allow it with the entry's overwrite rule."],
  ChecksumMismatch: ["The bytes differ from the declared or the sent checksum.", "check the declared checksum. If it is right, the source or the way to it corrupts the data."],
  TooLarge: ["The source is larger than a limit allows.", "raise the limit in the manifest, if the size is right."],
  Drifted: ["Another program changed or deleted the object at the store.", "find out who did it. With drift: repair mirrord writes it again."],
  PruneGuard: ["More objects would be deleted at once than the guard allows.", "check that the list or folder is whole. If so, raise prune: {max: …} in the entry."],
  JournalUnavailable: ["mirrord cannot write its journal.", "free space on the state disk, and check that it is writable."],
  Schedule: ["The item waits for its time, or for a host that was given a pause.", "nothing: mirrord continues by itself at the next check."],
  InternalError: ["mirrord made an error that it did not expect.", "report it, with the lines of the log."],
};

export function adviceOf(reason) {
  const [means, todo] = ADVICE[reason] ?? ["", "read the message; the log may say more."];
  return { means, todo };
}

const PROOFS = {
  "full-object checksum": "the store confirmed a checksum of the whole object",
  "composite checksum": "the store confirmed a checksum of each part",
  md5: "the store's ETag is the MD5 of the bytes",
  readback: "the object was read back and compared",
  "length only": "only the length was compared: the store offers no more",
};

export const proofOf = (integrity) => (PROOFS[integrity] ? `${integrity}: ${PROOFS[integrity]}` : integrity);

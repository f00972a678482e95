// Requests to the daemon, its stream of events, and the time of its last response or event. A token is kept until the tab
// is closed; with one there is no stream, because an EventSource cannot send it.

const TIMEOUT = 5000; // ms for one response
const REOPEN = 3000; // ms until a refused stream is tried again
const TOKEN = "mirrord-token";
const at = (path) => new URL(path, import.meta.url); // the page of an item is one level below

const NAMES = [
  "manifest.loaded", "manifest.rejected", "manifest.removed",
  "transfer.started", "transfer.progress", "transfer.resumed", "transfer.completed", "transfer.failed", "transfer.interrupted",
  "item.changed", "item.unchanged", "item.blocked", "item.retrying", "item.drifted", "item.pruned",
  "folder.settled", "folder.rescanned", "folder.overflowed", "upload.aborted",
  "daemon.ready", "daemon.stopping", "daemon.stopped",
];

// The daemon answered, with an error.
export class Refusal extends Error {
  constructor(status, message) {
    super(message ?? `the answer was ${status}`);
    this.status = status;
  }
}

export class Feed {
  streaming = false;
  answeredAt = null; // Date.now() of the last answer or event
  skew = 0; // ms that the daemon's clock is ahead of the browser's
  needsToken = false; // the daemon refused the last request without one, or with another one
  #token = sessionStorage.getItem(TOKEN) ?? "";
  #stream = null;
  #reopen = null;

  constructor(onEvent, onStream) {
    this.onEvent = onEvent;
    this.onStream = onStream;
  }

  get hasToken() {
    return Boolean(this.#token);
  }

  // The daemon's clock, in seconds since the epoch.
  now() {
    return (Date.now() + this.skew) / 1000;
  }

  // JSON from the daemon. Throws a TypeError or DOMException if it cannot be reached, else an Error with its message.
  async ask(path) {
    const headers = this.#token ? { Authorization: `Bearer ${this.#token}` } : {};
    const answer = await fetch(at(path), { headers, signal: AbortSignal.timeout(TIMEOUT), cache: "no-store" });
    const body = await answer.json();
    this.#hear();
    const date = Date.parse(answer.headers.get("Date")) + 500; // the header counts whole seconds
    if (Math.abs(date - Date.now() - this.skew) > 2000) this.skew = date - Date.now();
    this.needsToken = answer.status === 401;
    if (!answer.ok) throw new Refusal(answer.status, body.message);
    return body;
  }

  // POST with daemon.api_token. Throws as `ask`.
  async send(path, token) {
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await fetch(at(path), { method: "POST", headers, signal: AbortSignal.timeout(TIMEOUT) });
    const body = await answer.json();
    if (!answer.ok) throw new Refusal(answer.status, body.message);
    return body;
  }

  use(token) {
    this.#token = token;
    sessionStorage.setItem(TOKEN, token);
    this.close();
  }

  open() {
    clearTimeout(this.#reopen);
    if (this.#stream || this.#token) return;
    const stream = new EventSource(at("api/v1/events"));
    this.#stream = stream;
    stream.onopen = () => {
      this.#hear();
      this.#set(true);
    };
    stream.onerror = () => {
      if (stream.readyState === EventSource.CLOSED) this.#again(stream); // refused: reopen it here; else the browser reconnects
      this.#set(false);
    };
    for (const name of NAMES) {
      stream.addEventListener(name, (message) => {
        this.#hear();
        this.onEvent(name, JSON.parse(message.data));
      });
    }
  }

  close() {
    clearTimeout(this.#reopen);
    this.#stream?.close();
    this.#stream = null;
    this.#set(false);
  }

  #again(stream) {
    stream.close();
    this.#stream = null;
    this.#reopen = setTimeout(() => this.open(), REOPEN);
  }

  #hear() {
    this.answeredAt = Date.now();
  }

  #set(streaming) {
    if (this.streaming === streaming) return;
    this.streaming = streaming;
    this.onStream();
  }
}

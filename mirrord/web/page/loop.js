// Repeats the requests of a page, sooner after events, draws it each second, and tells when the daemon does not answer.

import { at, drawLink } from "./dom.js";
import { Feed } from "./feed.js";
import { capital, span } from "./words.js";

const EVERY = { moving: 2000, calm: 5000, polling: 2000, hidden: 15000 }; // ms between two updates
const SOON = 500; // ms from an event to the update that it causes, so that a burst causes one update
const SILENCE = 9000; // ms without a response or event after which the daemon counts as gone

export class Loop {
  feed = new Feed((name, event) => this.#onEvent(name, event), () => this.#onStream());
  #timer = null;
  #due = Infinity;
  #updating = false;
  #again = false;
  #newsAt = 0; // Date.now() of the last event
  #unreachable = false;
  #failure = ""; // the daemon's message when it answered with an error

  // `request` fetches what the page shows, `draw` shows it, `isMoving` tells whether transfers run, `onEvent` returns true
  // if the event needs no update, `hasData` whether something was fetched.
  constructor({ request, draw, isMoving, onEvent, hasData }) {
    Object.assign(this, { request, draw, isMoving, onEvent, hasData });
  }

  start() {
    at("token").addEventListener("submit", (event) => {
      event.preventDefault();
      this.feed.use(at("token-text").value);
      at("token-text").value = "";
      this.update();
    });
    document.addEventListener("visibilitychange", () => this.#onVisibility());
    if (!document.hidden) this.feed.open();
    this.update();
    setInterval(() => this.#drawAll(), 1000);
  }

  async update() {
    if (this.#updating) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#updating = true;
    this.#again = false;
    try {
      await this.request();
      this.#unreachable = false;
      this.#failure = "";
    } catch (error) {
      this.#unreachable = error instanceof TypeError || error instanceof DOMException || error instanceof SyntaxError;
      this.#failure = this.#unreachable ? "" : error.message;
    }
    this.#updating = false;
    this.#drawAll();
    this.#updateIn(this.#again ? SOON : this.#pause());
  }

  updateSoon() {
    if (this.#updating) this.#again = true;
    else if (this.#due > Date.now() + SOON) this.#updateIn(SOON);
  }

  #updateIn(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.update(), delay);
    this.#due = Date.now() + delay;
  }

  #pause() {
    if (document.hidden) return EVERY.hidden;
    if (!this.feed.streaming || this.#unreachable || this.#failure) return EVERY.polling;
    const fresh = Date.now() - this.#newsAt < EVERY.moving; // what was received just after an event may be older than it
    return fresh || this.isMoving() ? EVERY.moving : EVERY.calm;
  }

  #onEvent(name, event) {
    this.#newsAt = Date.now();
    if (!this.onEvent(name, event)) this.updateSoon();
  }

  #onStream() {
    this.#drawAll();
    this.update();
  }

  // A browser has six connections to a host: a hidden page closes its stream, and polls slowly.
  #onVisibility() {
    if (document.hidden) this.feed.close();
    else {
      this.feed.open();
      this.update();
    }
  }

  #drawAll() {
    const feed = this.feed;
    const link = this.#linkState();
    drawLink(link);
    at("token").hidden = !feed.needsToken;
    this.draw(this.#gone() ? (feed.answeredAt + feed.skew) / 1000 : feed.now(), link); // ages stop when the data is old
  }

  #gone() {
    const { answeredAt } = this.feed;
    return this.#unreachable || (answeredAt !== null && Date.now() - answeredAt > SILENCE && !document.hidden);
  }

  #linkState() {
    const { answeredAt, needsToken, streaming } = this.feed;
    const heard = answeredAt === null ? "never heard" : `last heard ${span((Date.now() - answeredAt) / 1000)} ago`;
    if (this.#gone()) {
      const then = this.hasData() ? "What is shown below was true then." : "";
      return { state: "gone", text: `no answer, ${heard}`, notice: "mirrord does not answer.", age: `${capital(heard)}. ${then}` };
    }
    if (needsToken) return { state: "waiting", text: "reading needs a token", notice: "", age: "" };
    if (this.#failure) return { state: "gone", text: "failing", notice: `mirrord answers, but cannot say how things stand: ${this.#failure}`, age: "" };
    if (answeredAt === null) return { state: "waiting", text: "connecting …", notice: "", age: "" };
    if (streaming) return { state: "live", text: "live", notice: "", age: "" };
    if (this.feed.hasToken) return { state: "live", text: `asking every ${EVERY.polling / 1000} s, with the token`, notice: "", age: "" };
    return { state: "polling", text: `no stream, asking every ${EVERY.polling / 1000} s`, notice: "", age: "" };
  }
}

// Updates the page by server-sent events, and sends the requests of the buttons.
"use strict";

const status = document.querySelector("#status");
const events = new EventSource("events");
for (const part of ["state", "probes"]) {
  events.addEventListener(part, (event) => {
    // The server escapes all text in its HTML.
    document.querySelector(`#${part}`).innerHTML = event.data;
  });
}
events.addEventListener("error", () => { status.textContent = "Connection lost: the instance does not answer."; });
events.addEventListener("open", () => { status.textContent = ""; });

document.addEventListener("click", async ({ target }) => {
  if (!(target instanceof HTMLButtonElement)) return;
  const { method, path, body } = target.dataset;
  status.textContent = `${method} /${path} …`;
  try {
    const response = await fetch(path, { method, body, signal: AbortSignal.timeout(10_000) });
    status.textContent = `${method} /${path}: ${response.status} ${await response.text()}`;
  } catch (error) {
    status.textContent = `${method} /${path}: no response (${error.name})`;
  }
});

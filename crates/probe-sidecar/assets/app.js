// Updates the page from /probes/stream. Without scripts the page shows the state at the time of loading.
"use strict";

const LABELS = { neverRun: "never run" };
const probes = new Map(Array.from(document.querySelectorAll("[data-probe]"), (item) => [item.dataset.probe, item]));
const stream = new EventSource("/probes/stream");
let wasConnected = false;

const read = (event) => JSON.parse(event.data);

async function fetchPage() {
  const response = await fetch("/");
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

// The stream has no events of groups: fetches the page, and once more if there was another event meanwhile.
let isFetching = false;
let hasChanged = false;
async function updateGroups() {
  hasChanged = true;
  if (isFetching || !document.querySelector(".groups")) return;
  isFetching = true;
  try {
    while (hasChanged) {
      hasChanged = false;
      const groups = (await fetchPage()).querySelector(".groups");
      const lines = groups === null ? [] : Array.from(groups.children);
      Array.from(document.querySelectorAll(".groups > li")).forEach((line, at) => {
        const [current, updated] = [line, lines[at]].map((item) => item?.querySelector(".badge"));
        if (!updated) return;
        current.className = updated.className;
        current.textContent = updated.textContent;
        current.nextSibling.textContent = updated.nextSibling.textContent;
      });
    }
  } catch {
    // The stream is disconnected too; the page reloads after it reconnects.
  } finally {
    isFetching = false;
  }
}

// Events between the rendering of the page and the start of the stream are in neither of them.
async function catchUp() {
  const changes = (page) => Array.from(page.querySelectorAll(".changes"), (list) => list.textContent).join();
  const before = changes(document);
  if (changes(await fetchPage()) !== before && changes(document) === before) location.reload();
}

function showStatus(update) {
  const item = probes.get(update.name);
  if (!item) return undefined;
  const badge = item.querySelector(".badge");
  if (!badge.classList.contains(update.status)) {
    badge.className = `badge ${update.status}`;
    badge.textContent = LABELS[update.status] ?? update.status;
  }
  if (item.dataset.healthy !== String(update.healthy)) {
    item.dataset.healthy = String(update.healthy);
    const healthy = document.querySelector("#healthy");
    healthy.textContent = String(Number(healthy.textContent) + (update.healthy ? 1 : -1));
    document.title = document.title.replace(/^\d+/, healthy.textContent);
  }
  return item;
}

stream.addEventListener("result", (event) => {
  const update = read(event);
  const strip = showStatus(update)?.querySelector(".strip");
  if (!strip) return;
  const bar = strip.firstElementChild;
  bar.className = update.result;
  strip.append(bar);
  const count = (name) => strip.getElementsByClassName(name).length;
  const all = strip.childElementCount - count("none");
  strip.setAttribute("aria-label", `Latest ${all} attempts: ${count("success")} succeeded, ${count("failure")} failed, ${count("error")} could not be made`);
});

stream.addEventListener("transition", (event) => {
  const update = read(event);
  const item = showStatus(update);
  if (!item) return;
  const reason = update.reason ? ` (${[update.reason, update.code].filter((part) => part !== undefined).join(" ")})` : "";
  const line = document.createElement("li");
  const time = document.createElement("time");
  time.dateTime = update.at;
  time.textContent = update.at;
  line.append(time, ` ${update.from} to ${update.to}${reason}`);
  const output = item.querySelector(".output");
  output.textContent = update.output ?? "";
  output.hidden = !update.output;
  const changes = item.querySelector(".changes");
  changes.prepend(line);
  while (changes.childElementCount > 5) changes.lastElementChild.remove();
  updateGroups();
  document.querySelector("#announcement").textContent = `${update.name} is ${update.to}${reason}`;
});

stream.addEventListener("started", () => {
  // Events during a disconnection are missing: reload the page.
  if (wasConnected) location.reload();
  else catchUp().catch(() => {}).finally(() => { document.body.dataset.stream = "live"; });
  wasConnected = true;
});
for (const name of ["reloaded", "lagged"]) {
  stream.addEventListener(name, () => setTimeout(() => location.reload(), 1000));
}
stream.addEventListener("stopped", () => {
  document.querySelector("#stopped").hidden = false;
  stream.close();
});

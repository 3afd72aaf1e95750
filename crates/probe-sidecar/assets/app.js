// Keeps the page up to date with /probes/stream. The page is whole without it, as of when it was loaded.
"use strict";

const WORDS = { neverRun: "never run" };
const probes = new Map(Array.from(document.querySelectorAll("[data-probe]"), (item) => [item.dataset.probe, item]));
const stream = new EventSource("/probes/stream");
let known = false;

const read = (event) => JSON.parse(event.data);

async function fresh() {
  const answer = await fetch("/");
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

// Of groups the stream says nothing: the page is asked again, once more if something has happened meanwhile.
let asking = false;
let again = false;
async function regroup() {
  again = true;
  if (asking || !document.querySelector(".groups")) return;
  asking = true;
  try {
    while (again) {
      again = false;
      const groups = (await fresh()).querySelector(".groups");
      const lines = groups === null ? [] : Array.from(groups.children);
      Array.from(document.querySelectorAll(".groups > li")).forEach((line, at) => {
        const [mine, told] = [line, lines[at]].map((of) => of?.querySelector(".badge"));
        if (!told) return;
        mine.className = told.className;
        mine.textContent = told.textContent;
        mine.nextSibling.textContent = told.nextSibling.textContent;
      });
    }
  } catch {
    // The stream is gone too, and begins anew.
  } finally {
    asking = false;
  }
}

// What happened after the page was written and before the stream began is on neither.
async function catchUp() {
  const told = (page) => Array.from(page.querySelectorAll(".changes"), (list) => list.textContent).join();
  const before = told(document);
  if (told(await fresh()) !== before && told(document) === before) location.reload();
}

function show(told) {
  const item = probes.get(told.name);
  if (!item) return undefined;
  const badge = item.querySelector(".badge");
  if (!badge.classList.contains(told.status)) {
    badge.className = `badge ${told.status}`;
    badge.textContent = WORDS[told.status] ?? told.status;
  }
  if (item.dataset.healthy !== String(told.healthy)) {
    item.dataset.healthy = String(told.healthy);
    const healthy = document.querySelector("#healthy");
    healthy.textContent = String(Number(healthy.textContent) + (told.healthy ? 1 : -1));
    document.title = document.title.replace(/^\d+/, healthy.textContent);
  }
  return item;
}

stream.addEventListener("result", (event) => {
  const told = read(event);
  const strip = show(told)?.querySelector(".strip");
  if (!strip) return;
  const mark = strip.firstElementChild;
  mark.className = told.result;
  strip.append(mark);
  const count = (name) => strip.getElementsByClassName(name).length;
  const all = strip.childElementCount - count("none");
  strip.setAttribute("aria-label", `Latest ${all} attempts: ${count("success")} succeeded, ${count("failure")} failed, ${count("error")} could not be made`);
});

stream.addEventListener("transition", (event) => {
  const told = read(event);
  const item = show(told);
  if (!item) return;
  const reason = told.reason ? ` (${[told.reason, told.code].filter((part) => part !== undefined).join(" ")})` : "";
  const line = document.createElement("li");
  const time = document.createElement("time");
  time.dateTime = told.at;
  time.textContent = told.at;
  line.append(time, ` ${told.from} to ${told.to}${reason}`);
  const said = item.querySelector(".said");
  said.textContent = told.output ?? "";
  said.hidden = !told.output;
  const changes = item.querySelector(".changes");
  changes.prepend(line);
  while (changes.childElementCount > 5) changes.lastElementChild.remove();
  regroup();
  document.querySelector("#news").textContent = `${told.name} is ${told.to}${reason}`;
});

stream.addEventListener("started", () => {
  // Whatever happened while the stream was away is on a fresh page.
  if (known) location.reload();
  else catchUp().catch(() => {}).finally(() => { document.body.dataset.stream = "live"; });
  known = true;
});
for (const name of ["reloaded", "missed"]) {
  stream.addEventListener(name, () => setTimeout(() => location.reload(), 1000));
}
stream.addEventListener("stopped", () => {
  document.querySelector("#stopped").hidden = false;
  stream.close();
});

// Marks and deletes items without leaving the page. Everything works without this script too.
"use strict";

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-quiet]")) return;
  event.preventDefault();
  try {
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.querySelector("main").replaceWith(page.querySelector("main"));
    document.title = page.title;
    document.querySelector("main").focus();
    document.querySelector("#status").textContent = answer.ok ? "The list is up to date." : page.querySelector("h1").textContent;
  } catch {
    form.submit();
  }
});

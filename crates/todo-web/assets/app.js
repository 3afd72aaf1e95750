// Completes and deletes items without loading the page again. Everything works without this script, too.
"use strict";

document.addEventListener("submit", async (event) => {
  const { target: form, submitter } = event;
  if (!form.matches("form[data-quiet]")) return;
  event.preventDefault();
  try {
    const fields = new URLSearchParams(new FormData(form, submitter));
    const answer = await fetch(submitter.formAction, { method: "POST", body: fields });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.querySelector("main").replaceWith(page.querySelector("main"));
    document.title = page.title;
    // The focus stays on the same button, or moves to the one that undoes a deletion.
    const button = document.querySelector(`[formaction="${submitter.getAttribute("formaction")}"]`);
    (button ?? document.querySelector(".undo button") ?? document.querySelector("main")).focus();
    document.querySelector("#status").textContent = answer.ok ? "The list is up to date." : page.querySelector("h1").textContent;
  } catch {
    // The browser's own submission shows the error.
    form.removeAttribute("data-quiet");
    submitter.click();
  }
});

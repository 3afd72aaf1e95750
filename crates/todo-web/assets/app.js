// Marks and deletes items without leaving the page. Everything works without this script too.
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
    // Where the visitor was, if that is still there: the list may be long.
    const button = document.querySelector(`[formaction="${submitter.getAttribute("formaction")}"]`);
    (button ?? document.querySelector("main")).focus();
    document.querySelector("#status").textContent = answer.ok ? "The list is up to date." : page.querySelector("h1").textContent;
  } catch {
    // The browser's own way shows what is wrong.
    form.removeAttribute("data-quiet");
    submitter.click();
  }
});

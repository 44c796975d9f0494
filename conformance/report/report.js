"use strict";
// Search and filter; without scripts the page simply shows everything.
const search = document.getElementById("search");
const count = document.getElementById("count");
const cases = [...document.querySelectorAll(".case")].map((element) => ({
  element,
  outcome: element.dataset.outcome,
  text: element.textContent.toLowerCase(),
}));

function show() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const outcome = document.querySelector('input[name="outcome"]:checked').value;
  let shown = 0;
  for (const item of cases) {
    const wanted = (outcome === "all" || item.outcome === outcome) && words.every((word) => item.text.includes(word));
    item.element.hidden = !wanted;
    shown += wanted;
  }
  for (const section of document.querySelectorAll("section")) {
    section.hidden = !section.querySelector(".case:not([hidden])");
  }
  count.textContent = shown === 1 ? "1 case" : `${shown} cases`;
}

function reveal() {
  // A link to a case or an area shows it, whatever the filter says.
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (!target) return;
  document.querySelector('input[name="outcome"][value="all"]').checked = true;
  show();
  if (target.matches("details")) target.open = true;
  target.scrollIntoView();
}

document.querySelector(".controls").addEventListener("input", show);
addEventListener("hashchange", reveal);
show();
reveal();

// Before the first paint: the theme that was chosen last time. Without one the page follows the system.
try {
  document.documentElement.dataset.theme = localStorage.getItem("interlinear.theme") ?? "";
} catch {
  // No storage, no memory: the system decides.
}

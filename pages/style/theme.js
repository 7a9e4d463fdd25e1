// The theme: light, dark, or as the system has it. Runs before the first paint; the choice stays in this browser.
(() => {
  const KEY = "live-markets-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");

  function choice() {
    try {
      const kept = localStorage.getItem(KEY);
      return kept === "light" || kept === "dark" ? kept : "system";
    } catch {
      return "system"; // storage may be forbidden
    }
  }

  function apply() {
    const chosen = choice();
    const isDark = chosen === "system" ? system.matches : chosen === "dark";
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
    window.dispatchEvent(new Event("live-markets-theme"));
  }

  function choose(next) {
    try {
      if (next === "system") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, next);
    } catch {
      // not kept, then
    }
    apply();
  }

  system.addEventListener("change", apply);
  window.addEventListener("storage", apply); // another tab chose
  window.liveMarketsTheme = { choice, choose };
  apply();
})();

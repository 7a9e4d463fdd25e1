// The theme: light, dark, or that of the system. Runs before the first paint; the choice is stored in this browser.
(() => {
  const KEY = "live-markets-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");

  function choice() {
    try {
      const kept = localStorage.getItem(KEY);
      return kept === "light" || kept === "dark" ? kept : "system";
    } catch {
      return "system"; // the browser may forbid storage
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
      // without storage the theme stays that of the system
    }
    apply();
  }

  system.addEventListener("change", apply);
  window.addEventListener("storage", apply); // another tab chose
  window.liveMarketsTheme = { choice, choose };
  apply();
})();

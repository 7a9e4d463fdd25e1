// The flash of a value that changed.

const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
const FLASH_MS = 400;
const MARK_MS = 1500;

/** Show that a value rose (`direction` 1) or fell (-1): a ground that fades, or a still mark.
 *
 * `veil` covers the value's cell. Its opacity alone changes, which the compositor does by itself: to fade the
 * ground of the cell would have the whole row painted anew sixty times a second.
 */
export function flash(veil, direction) {
  const name = direction < 0 ? "down" : "up";
  if (!reducedMotion.matches) {
    veil.dataset.flash = name;
    veil.fading?.cancel();
    veil.fading = veil.animate([{ opacity: 1 }, { opacity: 0 }], { duration: FLASH_MS });
    return;
  }
  veil.dataset.mark = name;
  clearTimeout(veil.markTimer);
  veil.markTimer = setTimeout(() => delete veil.dataset.mark, MARK_MS);
}

// The title of the browser's tab: price and symbol of the selected market, or what an alert says. A tab that is hidden or
// not connected gets no prices, so its title names none.
import { link } from "page_link";
import { onTick } from "server_clock";

const NAME = "Live Markets";

export const tabTitle = {
  price: "",
  symbol: "",
  alarm: "",
  write() {
    const price = document.hidden || link.isLost ? "" : this.price;
    const head = [this.alarm, price, this.symbol].filter(Boolean).join(" ");
    const text = head ? `${head} · ${NAME}` : `Labs · ${NAME}`;
    if (document.title !== text) document.title = text;
  },
};

/** Keep the title up to date. Returns a function that stops this. */
export function keepTitle() {
  const write = () => tabTitle.write();
  document.addEventListener("visibilitychange", write);
  const stop = onTick(write);
  return () => {
    document.removeEventListener("visibilitychange", write);
    stop();
  };
}

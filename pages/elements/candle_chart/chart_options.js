// What ECharts is told: how the chart looks, and its data.
import { themeColour } from "canvas";
import { compact, decimalsOf, grouped } from "number_format";
import { timeText } from "time_format";

const FONT_PX = 12;
const CHARACTER_PX = 7;

const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const utcDayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const minuteFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

/** The time of a candle on the axis, in the reader's zone. A candle of a day is a day of UTC, whatever the zone. */
export function axisTime(ms, interval) {
  if (interval === "1d") return utcDayFormat.format(ms);
  if (interval === "1s") return timeText(ms);
  const minute = minuteFormat.format(ms);
  return minute === "00:00" ? dayFormat.format(ms) : minute;
}

/** The time of a candle in full. */
export function fullTime(ms, interval) {
  if (interval === "1d") return `${utcDayFormat.format(ms)} UTC`;
  return `${dayFormat.format(ms)} ${interval === "1s" ? timeText(ms) : minuteFormat.format(ms)}`;
}

/** The width in px of the prices at the right. */
function marginOf(lastText) {
  return 16 + CHARACTER_PX * Math.max(6, grouped(lastText).length);
}

/** How the chart looks: everything but the data. */
export function lookOf(interval, lastText) {
  const [text, muted, line] = ["text", "muted", "line"].map(themeColour);
  const decimals = decimalsOf(lastText);
  const right = marginOf(lastText);
  const label = { color: muted, fontSize: FONT_PX, fontFamily: getComputedStyle(document.body).fontFamily };
  const plain = { axisLine: { show: false }, axisTick: { show: false } };
  const pointer = { label: { backgroundColor: themeColour("raised"), color: text, fontSize: FONT_PX } };
  const times = { type: "category", boundaryGap: true, ...plain, axisPointer: { ...pointer, snap: true } };
  const hidden = { show: false, min: 0, max: 1, axisPointer: { show: false } };
  return {
    animation: false,
    tooltip: { trigger: "axis", showContent: false, axisPointer: { type: "cross", lineStyle: { color: muted } } },
    axisPointer: { link: [{ xAxisIndex: "all" }] },
    grid: [
      { left: 8, right, top: 8, bottom: "30%" },
      { left: 8, right, top: "74%", bottom: 24 },
    ],
    xAxis: [
      {
        ...times,
        gridIndex: 0,
        axisLabel: { show: false },
        axisPointer: { ...times.axisPointer, label: { show: false } },
      },
      {
        ...times,
        gridIndex: 1,
        axisLabel: { ...label, hideOverlap: true, formatter: (value) => axisTime(Number(value), interval) },
        axisPointer: {
          ...pointer,
          label: { ...pointer.label, formatter: ({ value }) => fullTime(Number(value), interval) },
        },
      },
    ],
    yAxis: [
      {
        ...plain,
        gridIndex: 0,
        scale: true,
        position: "right",
        splitNumber: 4,
        splitLine: { lineStyle: { color: line } },
        axisLabel: { ...label, formatter: (value) => grouped(value.toFixed(decimals)) },
        axisPointer: {
          ...pointer,
          label: { ...pointer.label, formatter: ({ value }) => grouped(value.toFixed(decimals)) },
        },
      },
      {
        ...plain,
        gridIndex: 1,
        position: "right",
        splitNumber: 1,
        splitLine: { show: false },
        axisLabel: { show: false },
        axisPointer: {
          ...pointer,
          label: { ...pointer.label, formatter: ({ value }) => compact(String(Math.max(0, value))) },
        },
      },
      { ...hidden, gridIndex: 0 },
    ],
  };
}

/** The data, and how each candle is drawn: a closed one is filled, the running one is hollow. */
export function dataOf(list) {
  const [up, down, warn, surface] = ["up", "down", "warn", "surface"].map(themeColour);
  const times = list.candles.map((candle) => candle.openMs);
  const newest = list.candles[list.candles.length - 1];
  const running = list.candles.findIndex((candle) => list.isRunning(candle));
  const candles = list.candles.map((candle) => (candle.missing ? "-" : candle.drawn));
  if (running >= 0) candles[running] = { value: candles[running], itemStyle: { color: surface, color0: surface } };
  const volumes = list.candles.map((candle, at) => ({
    value: candle.missing ? "-" : candle.drawnVolume,
    itemStyle: {
      color: candle.drawn[1] < candle.drawn[0] ? down : up,
      opacity: at === running ? 0.3 : 0.6,
    },
  }));
  const shades = list.candles.map((candle) => (list.isShaded(candle) ? 1 : "-"));
  const isDown = newest && newest.drawn[1] < newest.drawn[0];
  return {
    xAxis: [{ data: times }, { data: times }],
    series: [
      {
        id: "candles",
        type: "candlestick",
        data: candles,
        large: false,
        itemStyle: { color: up, color0: down, borderColor: up, borderColor0: down },
        markLine: newest && {
          silent: true,
          symbol: "none",
          animation: false,
          lineStyle: { color: isDown ? down : up, type: "dashed" },
          label: {
            color: surface,
            formatter: grouped(newest.close),
            fontSize: FONT_PX,
            backgroundColor: isDown ? down : up,
            padding: [3, 4],
            distance: 2,
            width: marginOf(newest.close) - 12,
          },
          data: [{ yAxis: newest.drawn[1] }],
        },
      },
      { id: "volume", type: "bar", xAxisIndex: 1, yAxisIndex: 1, data: volumes, barCategoryGap: "25%" },
      {
        id: "missing",
        type: "bar",
        yAxisIndex: 2,
        data: shades.includes(1) ? shades : [],
        silent: true,
        barWidth: "100%",
        z: 0,
        itemStyle: { color: warn, opacity: 0.18 },
      },
    ],
  };
}

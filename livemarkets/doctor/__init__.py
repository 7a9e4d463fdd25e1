"""Checks, against the real exchange, every assumption that this product makes of Binance.

`docs/doctor.md` is its manual. It opens few connections, asks REST for a fifth of the announced weight at
most, sends no order, needs no key, and stores no price.

* `values` – an assumption (:class:`Check`) and what was found (:class:`Finding`). `limits` – what decides.
* `record` – what was observed, in memory: answers of REST, requests, replies, trades, candles.
* `shapes` – the shapes of events, and the conversion of an event into a value.
* `stream`, `rest`, `network` – the sockets: they observe and judge nothing.
* `observe` – the order in which things are asked, until the time is over.
* `checks/` – one module for each family of checks. A check is a pure function of the record.
* `report` – the table for people and the JSON. `command` is the command line.

An exchange that breaks one assumption fails the check of that assumption: `tests/doctor/` bends the embedded
exchange in one way for each check.
"""

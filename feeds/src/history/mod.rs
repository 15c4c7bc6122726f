//! History from exchanges: the minutes of a symbol between two times.

mod binance_klines;

//! The black box: the real binary under the real cargo. The tests are in `tests/`.

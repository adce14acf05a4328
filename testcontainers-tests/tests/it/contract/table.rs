pub(crate) fn check() {}

//! Child processes. (Owned by the local provider work; see its branch.)

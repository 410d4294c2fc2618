//! Tag names: content tags, branch tags.
//!
//! Which tag stands on which image, and when it moves, is design section 9.

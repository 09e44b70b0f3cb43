//! Append-only revisions of configuration objects.

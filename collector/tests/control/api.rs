//! The JSON API: save, refuse, conflict, history, roll back.

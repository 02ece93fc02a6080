//! `local_service`: real processes, real HTTP.

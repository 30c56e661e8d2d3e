//! Tasks: started, watched, cancelled, remembered.

//! What happened: events, the recorder and the sinks.

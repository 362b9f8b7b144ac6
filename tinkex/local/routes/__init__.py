"""The handlers of the local server, one module per subject; `app` joins them to the spec."""

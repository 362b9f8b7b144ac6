"""What the SDK and the local server both stand on; nothing here imports the rest of tinkex."""

"""The reports and the batch list of guestperf, QEMU's own migration benchmark."""

"""From clips on disk to records: plan, decode by timestamp, crop, write, account, check, show, give back, remove."""

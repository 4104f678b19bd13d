"""What `registry doctor` looks at beside the audit log: settings and database, each with what to do about it."""

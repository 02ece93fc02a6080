-- Added without a default and read by release 2 only: release 1 goes on serving while this runs.
ALTER TABLE orders ADD COLUMN note TEXT;

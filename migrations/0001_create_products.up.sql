-- Written for SQLite and PostgreSQL alike: one text, two databases.
CREATE TABLE products (
    sku         TEXT   PRIMARY KEY,
    name        TEXT   NOT NULL,
    price_cents BIGINT NOT NULL CHECK (price_cents >= 0)
);

INSERT INTO products (sku, name, price_cents) VALUES
    ('A1', 'Shipping container, 20 feet', 289000),
    ('B2', 'Twist lock', 2450),
    ('C3', 'Lashing rod', 3995);

CREATE TABLE orders (
    id        TEXT      PRIMARY KEY,
    sku       TEXT      NOT NULL REFERENCES products (sku),
    quantity  BIGINT    NOT NULL CHECK (quantity > 0),
    status    TEXT      NOT NULL,
    placed_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE INDEX orders_placed_at ON orders (placed_at);

//! How a product is divided into tiles, from its extents alone.

use super::super::product::ROWS;
use super::Extents;

/// Rows and columns of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cpu) struct Tiling {
    /// Rows, a multiple of the core's.
    pub(in crate::cpu) rows: usize,
    /// Columns, of each part.
    pub(in crate::cpu) columns: usize,
}

/// Floats of a tile: with its operands it stays in a cache of half a megabyte.
const TILE: usize = 32 << 10;

/// The most columns of a tile.
const COLUMNS: usize = 192;

/// The most rows of a tile.
const MOST_ROWS: usize = 480;

/// The fewest tiles of a large product, so that threads have equal shares.
const TILES: usize = 8;

/// Multiplications that are worth a tile of their own.
const LARGE: usize = 1 << 21;

impl Tiling {
    /// The tiles of a product.
    pub(in crate::cpu) fn new(extents: &Extents) -> Tiling {
        let &Extents { batch, m, n, parts, k } = extents;
        let mut rows = even(m, MOST_ROWS, ROWS);
        let mut columns = even(n, (TILE / (rows * parts)).clamp(32, COLUMNS), 16);
        let tiles = |rows: usize, columns: usize| batch * m.div_ceil(rows) * n.div_ceil(columns);
        let wanted = (batch * m * n * parts * k / LARGE).min(TILES);
        while tiles(rows, columns) < wanted {
            if rows > 48 && rows * 2 > columns {
                rows = even(m, rows / 2, ROWS);
            } else if columns > 32 {
                columns = even(n, columns / 2, 16);
            } else {
                break;
            }
        }
        Tiling { rows, columns }
    }
}

/// Equal parts of `whole` of at most about `most`, in multiples of `unit`.
fn even(whole: usize, most: usize, unit: usize) -> usize {
    whole.div_ceil(whole.div_ceil(most.max(unit))).next_multiple_of(unit)
}

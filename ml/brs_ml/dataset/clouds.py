"""Clouds on disk: positions as 16-bit numbers within a box, colours as bytes, compressed by zstd.

A box of 2 m is divided into steps of 0.03 mm, far finer than any depth camera. A cloud is a set,
so its points are put in the order of a space-filling curve, where neighbours are alike: the
differences between them take a third less room. Bytes lie in planes: the upper bytes of x, of y,
of z, the lower ones, then red, green and blue.

A cloud with fewer points than asked for is filled up by repeating its points, which changes no
maximum over points; one with more is thinned evenly along the curve.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import zstandard

from brs_ml.dataset.errors import DatasetError

POINT_BYTES = 9  # three 16-bit positions and three colour bytes
_STEPS = 65535
_MOST_POINTS = 1 << 22  # a few bytes can claim to unpack to any size


class CloudCodec:
    """Packs and unpacks clouds of one box. Not thread-safe: every thread makes its own.

    Args:
        lower: (3,) corner of the box [m].
        upper: (3,) opposite corner [m].
        level: of zstd; higher is smaller and slower to write.

    Raises:
        ValueError: the box has no inside.
    """

    def __init__(self, lower: Sequence[float], upper: Sequence[float], level: int = 1) -> None:
        self._lower, self._size = np.asarray(lower), np.subtract(upper, lower)
        if self._lower.shape != (3,) or not (self._size > 0).all():
            raise ValueError("'lower' must be below 'upper' along x, y and z")
        self._origin = self._lower.astype(np.float32)[:, None]
        self._scale = (self._size / _STEPS).astype(np.float32)[:, None]
        # The checksum finds a damaged cloud when it is read.
        self._compressor = zstandard.ZstdCompressor(level, write_checksum=True)
        self._decompressor = zstandard.ZstdDecompressor()

    def pack(self, points: np.ndarray, colors: np.ndarray) -> bytes:
        """One cloud as bytes.

        Args:
            points: (n, 3) [m]; those outside the box are put on its surface.
            colors: (n, 3) uint8.

        Raises:
            ValueError: a position is no number.
        """
        share = (np.ascontiguousarray(points.T) - self._lower[:, None]) / self._size[:, None]
        if not np.isfinite(share).all():
            raise ValueError("a position is no number")
        steps = np.rint(np.clip(share, 0.0, 1.0) * _STEPS).astype("<u2")
        order = np.argsort(_curve(steps), kind="stable")
        halves = _differences(steps.take(order, axis=1)).view(np.uint8).reshape(3, -1, 2)
        shades = _differences(colors.astype(np.uint8).T.take(order, axis=1))
        planes = (halves[..., 1], halves[..., 0], shades)
        return self._compressor.compress(b"".join(plane.tobytes() for plane in planes))

    def unpack(self, data: bytes) -> tuple[np.ndarray, np.ndarray]:
        """(3, n) float32 positions [m] and (3, n) uint8 colours, plane by plane.

        Raises:
            DatasetError: the bytes are damaged.
        """
        try:
            size = zstandard.get_frame_parameters(data).content_size
            if size > _MOST_POINTS * POINT_BYTES:
                raise DatasetError(
                    "a cloud claims more points than a cloud can have",
                    remedy="do not trust this data",
                )
            raw = self._decompressor.decompress(data)
        except zstandard.ZstdError as error:
            raise DatasetError(
                f"a cloud is damaged ({error})", remedy="copy or build the data set again"
            ) from None
        count, rest = divmod(len(raw), POINT_BYTES)
        if rest:
            raise DatasetError("a cloud is cut off", remedy="build the data set again")
        planes = np.frombuffer(raw, np.uint8).reshape(POINT_BYTES, count)
        steps = planes[:3].astype(np.uint16) << 8 | planes[3:6]
        np.cumsum(steps, axis=1, out=steps)
        colors = np.cumsum(planes[6:], axis=1, dtype=np.uint8)
        return steps * self._scale + self._origin, colors

    def points(self, data: bytes, count: int, out: np.ndarray | None = None) -> np.ndarray:
        """(count, 6) float32: x, y, z [m], and red, green, blue from 0 to 1.

        An empty cloud is the origin in black. Raises like `unpack`.
        """
        positions, colors = self.unpack(data)
        if out is None:
            out = np.empty((count, 6), np.float32)
        found = positions.shape[1]
        if found > count:
            thinned = np.arange(count) * found // count
            positions, colors, found = positions[:, thinned], colors[:, thinned], count
        planes = np.zeros((6, count), np.float32)
        planes[:3, :found] = positions
        np.multiply(colors, np.float32(1 / 255), out=planes[3:, :found])
        while 0 < found < count:
            more = min(found, count - found)
            planes[:, found : found + more] = planes[:, :more]
            found += more
        out[:] = planes.T
        return out


def _curve(steps: np.ndarray) -> np.ndarray:
    """(n,) place of each (3, n) position along a Morton curve: the bits of x, y and z mixed."""
    wide = steps.astype(np.uint64)
    # Each line moves half of the bits apart, until there are two free ones behind each.
    for shift, mask in (
        (16, 0x0000_FF00_00FF),
        (8, 0x00F0_0F00_F00F),
        (4, 0x0C30_C30C_30C3),
        (2, 0x2492_4924_9249),
    ):
        wide = (wide | wide << np.uint64(shift)) & np.uint64(mask)
    return np.asarray(wide[0] | wide[1] << np.uint64(1) | wide[2] << np.uint64(2))


def _differences(planes: np.ndarray) -> np.ndarray:
    """Each number less the one before in its row, modulo the type's range."""
    out = planes.copy()
    out[:, 1:] -= planes[:, :-1]
    return out

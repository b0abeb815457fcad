"""Where a camera sits on its link, from pictures of a board that stands still.

    reference --(kinematics, per view)--> link --(mount, wanted)--> optical frame
        |                                                               |
        +------(unknown, the same in all views)------> board <--(seen)--+

The reference is the link that the board is fixed to; `base_link` for a board in the room. A
closed form after Park and Martin (1994) of a few views at a time starts a least-squares fit of
mount and board pose to all corners at once (bundle adjustment with known link poses).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from brs_hardware.camera_calibration.board import project
from brs_hardware.camera_calibration.motion import describe_lack, turns_rad
from brs_hardware.cameras.frame import Intrinsics
from brs_hardware.errors import DeviceError

# Closed-form starts; with a fifth of bad views, four in ten of them are of good ones only.
_SAMPLES = 60
_SAMPLE_VIEWS = 4
# Columns of the fit: rotation and position of the mount, those of the board, then what is freed
# only to see whether it is wrong.
_MOUNT, _BOARD = slice(0, 6), slice(6, 12)
_LENS = [12, 13, 14, 15]  # fx, fy, cx, cy as shares of the focal lengths
_SIZE = [16]  # share of the board's size
_STEP = 1e-6  # of a numeric derivative


@dataclass(frozen=True)
class View:
    """One picture of the board."""

    reference_from_link: np.ndarray  # (4, 4) by kinematics
    points: np.ndarray  # (n, 3) corners on the board [m]
    pixels: np.ndarray  # (n, 2) where they are seen [px]
    optical_from_board: np.ndarray  # (4, 4) as this picture alone tells


@dataclass(frozen=True)
class HandEyeSettings:
    """What is good enough."""

    least_views: int = 8
    least_turn_rad: float = 0.14  # between views, about the second of three axes; 8 degrees
    most_rms_px: float = 2.0
    most_position_std_m: float = 0.003
    most_rotation_std_rad: float = 0.005  # 0.3 degrees
    # A corner, or a view's median one, that is off by so many medians and over a pixel is bad.
    outlier_medians: float = 4.0
    most_bad_views: float = 0.3  # share
    # A freed lens or board size is wrong if it comes out different by this share, and by so many
    # standard deviations. Half a percent of focal length moves a mount by 2 mm.
    least_wrong: float = 0.004
    surprise: float = 3.5


@dataclass(frozen=True)
class HandEye:
    """A mount and how sure it is."""

    link_from_optical: np.ndarray  # (4, 4)
    reference_from_board: np.ndarray  # (4, 4)
    position_std_m: np.ndarray  # (3,) along the link's axes
    rotation_std_rad: np.ndarray  # (3,) about them
    view_rms_px: np.ndarray  # (views,)
    outliers: tuple[int, ...]  # views left out
    rms_px: float  # of the corners used
    p95_px: float
    max_px: float
    hints: tuple[str, ...] = field(default=())  # what seems wrong besides


def solve(
    views: Sequence[View],
    intrinsics: Intrinsics,
    present: np.ndarray,
    settings: HandEyeSettings | None = None,
) -> HandEye:
    """The mount that explains all views best.

    Args:
        views: of one camera and one board that moved with its reference only.
        intrinsics: of the camera.
        present: (4, 4) optical frame in the link as believed so far; a start among others.
        settings: what is good enough.

    Raises:
        DeviceError: too few views, too little motion, or views that do not fit together.
    """
    settings = settings or HandEyeSettings()
    if len(views) < settings.least_views:
        raise DeviceError(
            f"{len(views)} views of the board are too few",
            remedy=f"take at least {settings.least_views}",
        )
    turns, axes = turns_rad([view.reference_from_link for view in views], present)
    if lack := describe_lack(turns, axes, settings.least_turn_rad):
        raise DeviceError("the views do not tell the mount", remedy=lack)
    fit = _Fit(views, intrinsics)
    start = min(_starts(views, present), key=lambda poses: fit.median_error(*poses))
    parameters, used = _fit_without_outliers(fit, *start, settings)
    outliers = tuple(int(i) for i in range(len(views)) if not used[fit.view == i].any())
    errors = fit.errors(parameters)
    rms_px = _rms(errors[used])
    if len(outliers) > settings.most_bad_views * len(views) or rms_px > settings.most_rms_px:
        raise _contradiction(_hints(fit, parameters, used, settings), rms_px, len(outliers))
    std = fit.deviations(parameters, used)[_MOUNT]
    link_from_optical, reference_from_board = fit.poses(parameters)
    result = HandEye(
        link_from_optical=link_from_optical,
        reference_from_board=reference_from_board,
        position_std_m=std[3:],
        rotation_std_rad=std[:3],
        view_rms_px=np.array([_rms(errors[fit.view == i]) for i in range(len(views))]),
        outliers=outliers,
        rms_px=rms_px,
        p95_px=float(np.percentile(errors[used], 95.0)),
        max_px=float(errors[used].max()),
        hints=_hints(fit, parameters, used, settings),
    )
    _check_certainty(result, settings)
    return result


def closed_form(views: Sequence[View]) -> tuple[np.ndarray, np.ndarray]:
    """Mount and board pose, (4, 4) each, from the poses that the views tell one by one.

    Between any two views the link's motion A and the camera's motion B obey A X = X B: first the
    rotation that takes the axes of B to those of A, then the position by linear least squares.
    """
    motions = [
        (
            np.linalg.inv(second.reference_from_link) @ first.reference_from_link,
            second.optical_from_board @ np.linalg.inv(first.optical_from_board),
        )
        for first, second in itertools.combinations(views, 2)
    ]
    link, camera = (np.array(motion) for motion in zip(*motions, strict=True))
    link_axes = Rotation.from_matrix(link[:, :3, :3]).as_rotvec()
    camera_axes = Rotation.from_matrix(camera[:, :3, :3]).as_rotvec()
    turn, _ = Rotation.align_vectors(link_axes, camera_axes)
    mount = np.eye(4)
    mount[:3, :3] = turn.as_matrix()
    left = (link[:, :3, :3] - np.eye(3)).reshape(-1, 3)
    right = (camera[:, :3, 3] @ mount[:3, :3].T - link[:, :3, 3]).ravel()
    mount[:3, 3] = np.linalg.lstsq(left, right, rcond=None)[0]
    return mount, _board_pose(views, mount)


def _board_pose(views: Sequence[View], mount: np.ndarray) -> np.ndarray:
    """(4, 4) mean of the board poses that the views tell, given the mount."""
    poses = np.array([v.reference_from_link @ mount @ v.optical_from_board for v in views])
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_matrix(poses[:, :3, :3]).mean().as_matrix()
    pose[:3, 3] = poses[:, :3, 3].mean(axis=0)
    return pose


def _starts(views: Sequence[View], present: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Mounts and board poses, some of them from good views only."""
    for view in views:
        yield present, _board_pose([view], present)
    yield closed_form(views)
    random = np.random.default_rng(0)
    for _ in range(_SAMPLES):
        chosen = random.choice(len(views), _SAMPLE_VIEWS, replace=False)
        yield closed_form([views[i] for i in chosen])


class _Fit:
    """All corners of all views against mount, board pose and, if freed, lens and board size."""

    def __init__(self, views: Sequence[View], intrinsics: Intrinsics) -> None:
        self._intrinsics = intrinsics
        self.view = np.repeat(np.arange(len(views)), [len(view.points) for view in views])
        self._points = np.concatenate([view.points for view in views])
        self._pixels = np.concatenate([view.pixels for view in views])
        self._link_from_reference = np.linalg.inv([view.reference_from_link for view in views])
        self._mount, self._board = np.eye(4), np.eye(4)  # about which the parameters turn

    def start_from(self, mount: np.ndarray, board: np.ndarray) -> None:
        """Zero parameters mean these poses from now on."""
        self._mount, self._board = mount, board

    def poses(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mount and board pose (4, 4)."""
        return (
            _moved(self._mount, parameters[_MOUNT]),
            _moved(self._board, parameters[_BOARD]),
        )

    def lens(self, parameters: np.ndarray) -> Intrinsics:
        """The lens with what the parameters change of it."""
        lens, (fx, fy, cx, cy) = self._intrinsics, parameters[_LENS]
        return Intrinsics(
            lens.width,
            lens.height,
            lens.fx * (1.0 + fx),
            lens.fy * (1.0 + fy),
            lens.cx + lens.fx * cx,
            lens.cy + lens.fy * cy,
            lens.distortion,
        )

    def residuals(self, parameters: np.ndarray) -> np.ndarray:
        """(n, 2) [px]."""
        mount, board = self.poses(parameters)
        in_reference = self._points * (1.0 + parameters[_SIZE]) @ board[:3, :3].T + board[:3, 3]
        to_optical = (np.linalg.inv(mount) @ self._link_from_reference)[self.view]
        seen = np.einsum("nij,nj->ni", to_optical[:, :3, :3], in_reference) + to_optical[:, :3, 3]
        # Behind the camera there is no picture; far off at its rim keeps a fit going.
        seen[:, 2] = np.maximum(seen[:, 2], 1e-3)
        return project(seen, self.lens(parameters)) - self._pixels

    def errors(self, parameters: np.ndarray) -> np.ndarray:
        """(n,) distances [px]."""
        return np.asarray(np.linalg.norm(self.residuals(parameters), axis=1))

    def median_error(self, mount: np.ndarray, board: np.ndarray) -> float:
        """Of all corners [px], at these poses."""
        self.start_from(mount, board)
        return float(np.median(self.errors(np.zeros(17))))

    def minimise(
        self, start: np.ndarray, used: np.ndarray, extra: Sequence[int] = (), loss: str = "linear"
    ) -> np.ndarray:
        """(17,) parameters that fit the used corners best; of the extra ones only those given."""
        columns = np.array([*range(12), *extra])

        def residuals(free: np.ndarray) -> np.ndarray:
            parameters = start.copy()
            parameters[columns] = free
            return self.residuals(parameters)[used].ravel()

        found = start.copy()
        found[columns] = least_squares(residuals, start[columns], loss=loss, x_scale="jac").x
        return found

    def deviations(
        self, parameters: np.ndarray, used: np.ndarray, extra: Sequence[int] = ()
    ) -> np.ndarray:
        """(12 + extra,) standard deviations of the parameters.

        Errors of joints move all corners of a view together, so it is views, not corners, that
        are taken to be independent: a jackknife over views, each left out to first order.
        """
        columns = [*range(12), *extra]
        residuals = self.residuals(parameters)[used].ravel()
        jacobian = np.empty((residuals.size, len(columns)))
        for i, column in enumerate(columns):
            moved = parameters.copy()
            moved[column] += _STEP
            jacobian[:, i] = (self.residuals(moved)[used].ravel() - residuals) / _STEP
        rows = np.repeat(self.view[used], 2)
        information = jacobian.T @ jacobian
        shifts = []
        for view in np.unique(rows):
            own = jacobian[rows == view]
            rest = information - own.T @ own
            shifts.append(np.linalg.pinv(rest) @ (own.T @ residuals[rows == view]))
        share = (len(shifts) - 1) / len(shifts)
        return np.asarray(np.sqrt(share * np.sum(np.square(shifts), axis=0)))


def _moved(pose: np.ndarray, by: np.ndarray) -> np.ndarray:
    """The pose turned by a rotation vector and moved, both in the axes of its parent."""
    moved = pose.copy()
    moved[:3, :3] = Rotation.from_rotvec(by[:3]).as_matrix() @ pose[:3, :3]
    moved[:3, 3] += by[3:]
    return moved


def _fit_without_outliers(
    fit: _Fit, mount: np.ndarray, board: np.ndarray, settings: HandEyeSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Parameters (17,), and which corners (n,) they are of."""
    fit.start_from(mount, board)
    parameters, used = np.zeros(17), np.ones(len(fit.view), dtype=bool)
    for _ in range(8):
        parameters = fit.minimise(parameters, used, loss="soft_l1")
        now = _good_corners(fit, fit.errors(parameters), settings)
        if np.array_equal(now, used):
            break
        used = now
    return fit.minimise(parameters, used), used


def _good_corners(fit: _Fit, errors: np.ndarray, settings: HandEyeSettings) -> np.ndarray:
    """Which corners (n,) are near enough, in views whose median corner is."""
    limit = max(settings.outlier_medians * float(np.median(errors)), 1.0)
    medians = np.array([np.median(errors[fit.view == i]) for i in range(fit.view[-1] + 1)])
    return np.asarray((errors <= limit) & (medians <= limit)[fit.view])


def _hints(
    fit: _Fit, parameters: np.ndarray, used: np.ndarray, settings: HandEyeSettings
) -> tuple[str, ...]:
    """The one thing that is likely wrong, if the corners tell it apart from chance."""
    wrong = []
    for extra in (_LENS, _SIZE):
        found = fit.minimise(parameters, used, extra)
        change, std = np.abs(found[extra]), fit.deviations(found, used, extra)[12:]
        if np.any((change > settings.least_wrong) & (change > settings.surprise * std)):
            wrong.append((_rms(fit.errors(found)[used]), found, extra))
    if not wrong:
        return ()
    freed_px, found, extra = min(wrong, key=lambda one: one[0])
    gain = f"{_rms(fit.errors(parameters)[used]):.2f} px become {freed_px:.2f} with"
    if extra is _SIZE:
        share = 1.0 + found[_SIZE][0]
        return (f"{gain} squares {share:.3f} times as large: measure the printed squares",)
    lens = fit.lens(found)
    return (
        f"{gain} fx {lens.fx:.1f}, fy {lens.fy:.1f}, cx {lens.cx:.1f}, cy {lens.cy:.1f}:"
        " the camera's intrinsics are wrong",
    )


def _contradiction(hints: tuple[str, ...], rms_px: float, bad: int) -> DeviceError:
    usual = "keep the board and the base still, measure the squares, check the joints' zeros"
    return DeviceError(
        f"the views contradict each other: {rms_px:.1f} px off, {bad} of them left out",
        remedy=hints[0] if hints else usual,
    )


def _check_certainty(result: HandEye, settings: HandEyeSettings) -> None:
    position, rotation = result.position_std_m.max(), result.rotation_std_rad.max()
    if position <= settings.most_position_std_m and rotation <= settings.most_rotation_std_rad:
        return
    degrees = np.degrees(rotation)
    usual = "take more views, nearer to the board and turned further from each other"
    raise DeviceError(
        f"the mount is uncertain by {1e3 * position:.1f} mm and {degrees:.2f} degrees",
        remedy=result.hints[0] if result.hints else usual,
    )


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if len(values) else 0.0

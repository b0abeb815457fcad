"""How the viewer arranges what it shows."""

from __future__ import annotations

from typing import Any

from brs_cli.view_log import CAPTURE, import_rerun
from brs_cli.view_robot import WORLD_FRAME
from brs_hardware.embodiment import Embodiment


def blueprint(embodiment: Embodiment, collision_shapes: str, has_clouds: bool) -> Any:
    """Scene and states on the left; cameras, curves and lines on the right.

    Args:
        embodiment: the robot; says which cameras and joints there are.
        collision_shapes: entity that is not shown.
        has_clouds: then what each camera's depth would show of the scene is left out.
    """
    rr = import_rerun()
    rrb = rr.blueprint
    cameras = list(embodiment.cameras)
    left_out = [f"- /{collision_shapes}/**"]
    left_out += [f"- /cameras/{camera}/depth" for camera in cameras if has_clouds]
    solid = rr.components.FillMode.Solid
    scene = rrb.Spatial3DView(
        name="scene",
        origin="/",
        contents=["+ /robot/**", "+ /cameras/**", "+ /cloud", "+ /objects", *left_out],
        defaults=[
            rr.Boxes3D.from_fields(fill_mode=solid),
            rr.Cylinders3D.from_fields(fill_mode=solid),
            rr.Ellipsoids3D.from_fields(fill_mode=solid),
        ],
        spatial_information=rrb.SpatialInformation(target_frame=WORLD_FRAME),
        line_grid=rrb.LineGrid3D(spacing=0.5),
        # From behind the robot's start and above, so that it hides little of what it does.
        eye_controls=rrb.EyeControls3D(position=(-1.7, -0.7, 2.3), look_target=(0.3, 0.4, 0.8)),
    )
    pictures = [
        rrb.Spatial2DView(
            name=f"{camera} {kind}",
            origin=f"/cameras/{camera}",
            contents=f"$origin/{kind}",
        )
        for kind in ("color", "depth")
        for camera in cameras
    ]
    shown = {name.replace("_", " "): f"/joints/{name}" for name in embodiment.GROUPS}
    shown |= {name: f"/{name}" for name in ("grippers", "base")}
    # A legend of twelve lines would hide the curves; pointing at one tells its name.
    legend = rrb.PlotLegend(visible=False)
    curves = [
        rrb.TimeSeriesView(name=name, origin=origin, plot_legend=legend)
        for name, origin in shown.items()
    ]
    right = rrb.Vertical(
        rrb.Grid(*pictures, grid_columns=max(len(cameras), 1)),
        rrb.Tabs(*curves, name="curves"),
        rrb.TextLogView(name="events", origin="/log"),
        row_shares=[4, 3, 2],
    )
    left = rrb.Vertical(
        scene, rrb.StateTimelineView(name="states", origin="/states"), row_shares=[3, 1]
    )
    return rrb.Blueprint(
        rrb.Horizontal(left, right, column_shares=[5, 4]),
        rrb.TimePanel(timeline=CAPTURE, state="collapsed"),
        rrb.SelectionPanel(state="hidden"),
        rrb.BlueprintPanel(state="collapsed"),
        auto_views=False,
        auto_layout=False,
    )

"""Watching cameras for what should not happen, said in words (AnyAnomaly).

Nothing here imports PyTorch by itself; the encoders and judges that need it do.
"""

from brs_ml.anomaly.config import MonitorConfig, SegmentConfig
from brs_ml.anomaly.errors import AnomalyError
from brs_ml.anomaly.frames import Segment, SegmentBuffer
from brs_ml.anomaly.monitor import Monitor, MonitorResult, VideoScores, score_video
from brs_ml.anomaly.segment import KeywordScore, SegmentScore, SegmentScorer
from brs_ml.anomaly.texts import WatchedTexts, watch_texts

__all__ = [
    "AnomalyError",
    "KeywordScore",
    "Monitor",
    "MonitorConfig",
    "MonitorResult",
    "Segment",
    "SegmentBuffer",
    "SegmentConfig",
    "SegmentScore",
    "SegmentScorer",
    "VideoScores",
    "WatchedTexts",
    "score_video",
    "watch_texts",
]

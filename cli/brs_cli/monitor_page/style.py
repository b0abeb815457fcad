"""How the page looks, beyond what it has in common with the browser of episodes."""

STYLE = """
.mon-state { gap: 8px; align-items: center; flex-wrap: nowrap; min-width: 0; }
.mon-dot { flex: none; width: 10px; height: 10px; border-radius: 50%; background: #009e73; }
.mon-bad .mon-dot { background: #c62828; } .mon-bad .mon-line { color: #b42318; font-weight: 600; }

.mon-main { flex: 1; min-height: 0; width: 100%; display: grid; gap: 8px; padding: 8px;
  grid-template-columns: minmax(0, 1fr) 320px; }
.mon-cameras { display: flex; flex-direction: column; gap: 8px; overflow: auto; min-height: 0; }
.mon-side { display: grid; grid-template-rows: minmax(120px, auto) minmax(0, 1fr); gap: 8px;
  min-height: 0; max-height: 100%; }
.mon-nothing { color: var(--soft); padding: 14px; }

.mon-camera { display: grid; flex: none; gap: 8px; padding: 8px; height: 262px;
  grid-template-columns: minmax(0, 26fr) minmax(0, 26fr) minmax(0, 48fr); }
.mon-camera.mon-alarm { border-color: #c62828; box-shadow: inset 0 0 0 1px #c62828; }
.mon-shot { position: relative; background: #e5e8ec; border-radius: 4px; overflow: hidden;
  min-width: 0; }
.mon-old > .mon-shot img { opacity: 0.45; filter: grayscale(0.8); }
.mon-shot img { width: 100%; height: 100%; object-fit: contain; display: block; }
.mon-shot .mon-none { position: absolute; inset: 0; display: grid; place-items: center;
  color: var(--soft); }
.mon-scores { display: flex; flex-direction: column; min-width: 0; min-height: 0; }
.mon-head { display: flex; align-items: baseline; gap: 8px; flex: none; }
.mon-head .brs-facts { flex: none; }
.mon-line, .mon-problem, .mon-what { overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; min-width: 0; }
.mon-problem { color: #b42318; }
.mon-chips { display: flex; flex-wrap: wrap; gap: 2px 12px; flex: none; max-height: 54px;
  overflow: auto; padding-top: 3px; font-size: 12px; }
.mon-chip { display: flex; align-items: center; gap: 5px; max-width: 100%; }
.mon-chip .brs-dot { align-self: center; }
.mon-chip .mon-value { font-variant-numeric: tabular-nums; font-weight: 600; }
.mon-chip.mon-unknown .mon-value { color: var(--soft); font-weight: 400; }
.mon-chip.mon-alarm .mon-value { color: #c62828; }
.mon-scores .nicegui-echart { flex: 1; min-height: 0; width: 100%; height: auto; }

.mon-texts, .mon-alarms { padding: 8px 10px; display: flex; flex-direction: column; gap: 4px;
  min-height: 0; }
.mon-texts { max-height: 46vh; }
.mon-list { overflow: auto; min-height: 0; display: flex; flex-direction: column; }
.mon-text { display: flex; align-items: center; gap: 8px; flex: none; min-height: 30px;
  padding: 0 4px; border-radius: 4px; cursor: pointer; }
.mon-text:hover { background: #eef4fb; } .mon-text.mon-focus { background: #dcebfa; }
.mon-text .brs-dot { align-self: center; }
.mon-add { display: flex; gap: 6px; align-items: center; flex: none; }
.mon-add .q-field { flex: 1; }

.mon-entry { display: grid; grid-template-columns: 76px minmax(0, 1fr); gap: 9px; flex: none;
  padding: 4px; border-radius: 4px; cursor: pointer; text-align: left; align-items: center; }
.mon-entry:hover, .mon-entry:focus-visible { background: #eef4fb; }
.mon-entry .mon-shot { height: 57px; }
.mon-what { font-weight: 600; }
.mon-filming { color: #c62828; }
.mon-card { max-width: none !important; }
.mon-player { width: 640px; max-width: 86vw; height: 480px; max-height: 56vh; }
"""

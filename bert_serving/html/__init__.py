"""Self-contained HTML pages: page, parts, charts, templates."""

from bert_serving.extras import require

require("pages", ("altair", "jinja2", "vl_convert"), extra="report")

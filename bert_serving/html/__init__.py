"""Self-contained HTML pages and what they are made of."""

from bert_serving.extras import require

require("pages", ("altair", "jinja2", "vl_convert"), extra="report")

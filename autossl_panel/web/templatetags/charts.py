"""A chart where a page wants one."""

from django import template

from ..charts import Chart

register = template.Library()


@register.inclusion_tag("_chart.html")
def chart(drawn: Chart) -> dict[str, Chart]:
    """The picture in a frame that can be scrolled by keyboard, its legend, and the table behind it."""
    return {"chart": drawn}

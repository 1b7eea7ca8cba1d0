# Web and workers. The helper stays on the host: it edits the host's nginx, see docs/installing.md.
FROM python:3.11-slim-bookworm
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.txt
COPY manage.py ./
COPY autossl_panel ./autossl_panel
COPY templates ./templates
COPY static ./static
ENV PYTHONUNBUFFERED=1 AUTOSSL_STATE_DIR=/var/lib/autossl-panel AUTOSSL_RUN_DIR=/run/autossl-panel
RUN useradd --system --uid 2087 --home-dir /var/lib/autossl-panel --create-home autossl
USER autossl
ENTRYPOINT ["python", "manage.py"]
CMD ["serve", "--bind", "0.0.0.0:8000"]

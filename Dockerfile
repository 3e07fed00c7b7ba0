# ltokc on the CPU.
#   docker build -t ltokc .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/pictures" ltokc encode photo.jpg
# scripts/check_dockerfile.py runs these steps without Docker.

FROM python:3.12-slim AS build
WORKDIR /build
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir dist .

FROM python:3.12-slim
WORKDIR /install
COPY --from=build /build/dist dist
RUN pip install --no-cache-dir "$(echo dist/*.whl)[cpu]" && rm -r dist && ltokc --version
RUN useradd --create-home --uid 1000 ltokc
USER ltokc
WORKDIR /pictures
ENTRYPOINT ["ltokc"]
CMD ["--help"]

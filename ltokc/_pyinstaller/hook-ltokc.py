"""PyInstaller's hook: every module, since commands are imported by name, and the models that lie beside the code."""

from importlib.metadata import PackageNotFoundError

from PyInstaller.utils.hooks import collect_data_files, collect_submodules, copy_metadata

hiddenimports = collect_submodules("ltokc", filter=lambda name: not name.startswith("ltokc._pyinstaller"))
datas = collect_data_files("ltokc", excludes=["_pyinstaller"])
for package in ("ltokc", "onnxruntime", "onnxruntime-gpu"):  # what `ltokc -V` tells of
    try:
        datas += copy_metadata(package)
    except PackageNotFoundError:
        continue

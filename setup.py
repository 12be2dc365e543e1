"""Build of the compiled kernels; everything else about the package is in pyproject.toml.

src/ is compiled once for each instruction set of the processor family, as extension modules of
their own: on x86-64 baseline, avx2 (with FMA) and avx512, elsewhere the baseline alone. Flags that
the compiler does not take are left out.

Three variables are for tests; `python -m tools.torture` uses them. The first two make slow modules,
so build into a folder apart (--build-lib). DSCONV_SANITIZE=1 builds with AddressSanitizer and
UndefinedBehaviorSanitizer, =thread with ThreadSanitizer. DSCONV_PLAIN_VEC=1 builds as for a compiler
without vector extensions. DSCONV_BUILD_ISAS=baseline,avx2 builds only these instruction sets.
"""

import os
import platform
import sys
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

AVX2 = ["-mavx2", "-mfma"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512cd"]
X86 = platform.machine().lower() in ("x86_64", "amd64") and "ARCHFLAGS" not in os.environ
ISA_FLAGS = {"baseline": [], **({"avx2": AVX2, "avx512": AVX512} if X86 else {})}
ISA_FLAGS_MSVC = {"baseline": [], "avx2": ["/arch:AVX2"], "avx512": ["/arch:AVX512"]}

# The tiles hold their accumulators in registers only if the loops over them are unrolled completely
# and early, and contraction must be spelled out for vector types: see docs/kernels.md.
OPTIMISE = [
    "-O3",
    "-g0",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-loop-unroll-and-jam",
    "-fno-loop-interchange",
    "--param=max-completely-peeled-insns=2000",
    "--param=max-inline-insns-single=5000",
    "--param=large-function-growth=10000",
    "--param=inline-unit-growth=10000",
]
# Of products and sums of single floats gcc would fuse some and not others: see simd_plain.h.
PLAIN_VEC = ["-DDSCONV_PLAIN_VEC", "-ffp-contract=off"]
# gcc fuses vec_fma only with its expensive optimisations.
WHOLE_REPORT = ["-O1", "-fexpensive-optimizations", "-g1", "-fno-omit-frame-pointer"]
SANITIZE = {
    "1": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "thread": ["-fsanitize=thread"],
}
LINK = ["-Wl,-s", "-pthread"] if sys.platform.startswith("linux") else []
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "nonecheck": False,
    "embedsignature": False,
}


class BuildKernels(build_ext):
    """build_ext that asks the compiler which flags it takes, and leaves out what it cannot build."""

    def takes(self, flags, link=()):
        """Whether a small program compiles with these flags, and links with those of `link`."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text("int dsconv_probe(void) { return 0; }\n")
            quiet = os.dup(2)
            with open(os.devnull, "w") as null:
                os.dup2(null.fileno(), 2)
                try:
                    objects = self.compiler.compile(
                        [str(source)], folder, extra_postargs=["-Werror", *flags]
                    )
                    if link:
                        self.compiler.link_shared_object(
                            objects, str(Path(folder, "probe.so")), extra_postargs=list(link)
                        )
                except Exception:
                    return False
                finally:
                    os.dup2(quiet, 2)
                    os.close(quiet)
        return True

    def build_extensions(self):
        msvc = self.compiler.compiler_type == "msvc"
        isa_flags = ISA_FLAGS_MSVC if msvc else ISA_FLAGS
        common = ["/O2"] if msvc else [flag for flag in OPTIMISE if self.takes([flag])]
        link = [] if msvc else [flag for flag in LINK if self.takes([], [flag])]
        if os.environ.get("DSCONV_PLAIN_VEC") == "1":
            common += PLAIN_VEC
        if sanitize := os.environ.get("DSCONV_SANITIZE"):
            common += [*WHOLE_REPORT, *SANITIZE[sanitize]]
            link = [flag for flag in link if flag != "-Wl,-s"] + SANITIZE[sanitize]
        possible = []
        for extension in self.extensions:
            extension.extra_link_args += link
            if extension.name != "dsconv._cpu":
                isa = extension.name.rpartition("_")[2]
                if not msvc and not all(self.takes([flag]) for flag in isa_flags[isa]):
                    print(f"dsconv: the compiler has no {isa}; that module is left out")
                    continue
                flags = [*common, *isa_flags[isa]]
                extension.extra_compile_args += flags
                extension.define_macros.append(("DSCONV_FLAGS", '"' + " ".join(flags) + '"'))
            possible.append(extension)
        self.extensions = possible
        self.parallel = self.parallel or os.cpu_count()
        super().build_extensions()


def extensions():
    wanted = os.environ.get("DSCONV_BUILD_ISAS", "").replace(",", " ").split() or ISA_FLAGS
    sources = {"_cpu": "src/_cpu.pyx"}
    sources.update({f"_kernels_{isa}": f"src/_kernels_{isa}.pyx" for isa in wanted})
    depends = [str(p) for p in Path("src").rglob("*") if p.suffix in (".pxi", ".h")]
    return [
        Extension(f"dsconv.{name}", [source], include_dirs=["src"], depends=depends)
        for name, source in sources.items()
    ]


setup(
    ext_modules=cythonize(
        extensions(), include_path=["src"], build_dir="build", compiler_directives=DIRECTIVES
    ),
    cmdclass={"build_ext": BuildKernels},
)

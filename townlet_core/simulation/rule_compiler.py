"""How a rule is compiled: to LLVM's intermediate code, which the kernel that calls it optimises once.

numba optimises every compiled function, turns it into machine code and makes two wrappers for calls from
Python. A rule is inlined into its caller, so all of that was thrown away, and repeated in the caller: a rule
six calls deep was optimised seven times. It took more than half of the compilation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from numba import _dynfunc  # type: ignore[attr-defined]
from numba.core import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.registry import CPUDispatcher
from numba.core.typed_passes import NativeLowering

# Rules never allocate, so reference counting is off: it would touch eleven counters per call, which all
# threads share. Division by zero is excluded where numbers enter, not in the loop.
_OPTIONS: dict[str, Any] = {
    "nopython": True,
    "_nrt": False,
    "error_model": "numpy",
    "forceinline": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
_ENTRY, _NOWHERE = "A rule.", 0  # of a function without machine code: its docstring and its address


def compile_into_callers(function: Callable[..., Any]) -> Any:
    """Return a function that kernels and other such functions can call, and Python cannot."""
    return _Rule(py_func=function, targetoptions=_OPTIONS, pipeline_class=_RuleCompiler)


class _Rule(CPUDispatcher):
    """A rule, compiled once per combination of its arguments' types."""

    _compiler: Any

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Compile for these types, with integers of any width as int64: a rule needs no copy for each."""
        _, args = self._compiler.fold_argument_types(args, kws)
        return super().get_call_template(tuple(map(_widen, args)), {})

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse, because there is no machine code to call."""
        name = self.py_func.__name__
        raise TypeError(f"{name} is compiled into kernels only; from Python, call {name}.py_func")


def _widen(argument: Any) -> Any:
    plain = types.unliteral(argument)
    return types.int64 if isinstance(plain, types.Integer) and plain != types.uint64 else argument


class _RuleCompiler(CompilerBase):
    """numba's pipeline, ending in _RuleLowering."""

    def define_pipelines(self) -> list[Any]:
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state, "rule")
        pipeline.passes = [
            (_RuleLowering if step is NativeLowering else step, text) for step, text in pipeline.passes
        ]
        pipeline.finalize()
        return [pipeline]


@register_pass(mutates_CFG=True, analysis_only=False)
class _RuleLowering(NativeLowering):
    """numba's lowering without the generation of machine code."""

    _name = "townlet_rule_lowering"

    def run_pass(self, state: Any) -> bool:
        """Lower a rule, and register a stand-in for its entry point, by which callers find its code."""
        state.library = _RuleLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags = state.flags.copy()
        state.flags.no_compile = True
        super().run_pass(state)
        function = state.cr.fndesc
        entry = _dynfunc.make_function(
            function.lookup_module(), function.qualname, _ENTRY, _NOWHERE, state.cr.env, (state.library,)
        )
        state.targetctx.insert_user_function(entry, function, [state.library])
        state.cr = state.cr._replace(cfunc=entry)
        return True


class _RuleLibrary(JITCodeLibrary):
    """Code that is linked into other code: simplified function by function, the rest is the kernel's."""

    def _optimize_final_module(self) -> None:
        """Leave it to the kernel, which sees how the rule is called."""

    def _finalize_final_module(self) -> None:
        """Make no machine code."""
        self._finalize_dynamic_globals()
        self._finalized = True

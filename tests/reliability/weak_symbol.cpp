/// An object as those of the instruction sets must not be: it defines a function that every object
/// which uses it defines too. check_isa_symbols.py has to find it.
namespace attention::kernels::faulty {

inline int shared_by_all(int x) {
  return x + 1;
}

extern int (*const kUsesIt)(int);
int (*const kUsesIt)(int) = shared_by_all;

}  // namespace attention::kernels::faulty

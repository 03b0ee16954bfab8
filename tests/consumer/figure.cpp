#include <attention/render/save.hpp>
#include <attention/render/terminal.hpp>

int main(int, char** argv) {
  const attention::render::Heatmap heatmap{
      .values = attention::Tensor<double>({2, 2}, {0.25, 0.75, 1.0, 0.0})};
  attention::render::save(heatmap, argv[1]);
  return attention::render::to_terminal(heatmap).empty() ? 1 : 0;
}

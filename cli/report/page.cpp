#include "cli/report/page.hpp"

#include <cstdint>
#include <string_view>

#include <fmt/format.h>

#include <attention/core/version.hpp>
#include <attention/render/save.hpp>

#include "cli/report/findings.hpp"
#include "cli/report/page_style.hpp"

namespace attention::cli {
namespace {

/// Text as HTML shows it; labels come from users.
std::string escaped(std::string_view text) {
  std::string html;
  for (const char c : text) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

std::string base64(std::string_view bytes) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t triple = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      triple = triple << 8 | (i + k < bytes.size() ? static_cast<std::uint8_t>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      const bool real = k == 0 || i + k - 1 < bytes.size();
      text += real ? kDigits[(triple >> (18 - 6 * k)) & 63U] : '=';
    }
  }
  return text;
}

std::string figure_html(const NamedFigure& figure) {
  // As an image, each SVG keeps its ids and styles to itself.
  return fmt::format(
      "<figure id=\"{0}\"{3}><img alt=\"{1}\" "
      "src=\"data:image/svg+xml;base64,{2}\"><figcaption>{1}</figcaption></figure>\n",
      escaped(figure.name), escaped(figure.caption), base64(render::to_svg(figure.figure)),
      std::holds_alternative<render::HeatmapGrid>(figure.figure) ? " class=\"wide\"" : "");
}

std::string table_head(const experiments::Settings& settings, bool with_experiment) {
  return fmt::format(
      "<div class=\"scroll\"><table>\n<thead><tr>{}<th>Claim</th><th>Published or "
      "expected</th><th>One draw (seed {})</th>"
      "<th>Over {} seeds</th><th>Exact</th><th>Without "
      "projections</th><th>Verdict</th></tr></thead>\n<tbody>\n",
      with_experiment ? "<th>Experiment</th>" : "", settings.seed, with_thousands(settings.seeds));
}

std::string dash_if_empty(const std::string& text) {
  return text.empty() ? "&ndash;" : escaped(text);
}

std::string table_rows(const experiments::Result& result, bool with_experiment) {
  std::string rows;
  const std::vector<Finding> findings = findings_of(result);
  for (std::size_t i = 0; i < findings.size(); ++i) {
    const Finding& finding = findings[i];
    rows += "<tr>";
    if (with_experiment && i == 0) {
      rows += fmt::format(R"(<td class="group" rowspan="{}"><a href="#{}">{}</a></td>)",
                          findings.size(), escaped(result.experiment->name),
                          escaped(result.experiment->title));
    }
    for (const std::string* cell : {&finding.statement, &finding.published, &finding.one_draw,
                                    &finding.over_seeds, &finding.exact, &finding.control}) {
      rows += "<td>" + dash_if_empty(*cell) + "</td>";
    }
    rows += fmt::format("<td><span class=\"tag {}\">{}</span></td></tr>\n", finding.kind,
                        escaped(finding.verdict));
  }
  return rows;
}

constexpr const char* kTableEnd = "</tbody></table></div>\n";

std::string proofs_html(const experiments::Result& result) {
  std::string html;
  for (const Finding& finding : findings_of(result)) {
    if (!finding.proof.empty() && !finding.exact.empty()) {
      html +=
          fmt::format("<details open><summary>{} <b>{}</b></summary><p>{}</p></details>\n",
                      escaped(finding.statement), escaped(finding.exact), escaped(finding.proof));
    }
  }
  return html.empty() ? html : "<h3>Why: the proofs</h3>\n" + html;
}

std::string section_html(const ReportSection& section) {
  const experiments::Result& result = *section.result;
  const experiments::Experiment& experiment = *result.experiment;
  std::string html =
      fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n<p>{}</p>\n", escaped(experiment.name),
                  escaped(experiment.title), escaped(experiment.description));
  if (!experiment.expectation.empty()) {
    html += fmt::format("<p class=\"expected\"><b>What one expects.</b> {}</p>\n",
                        escaped(experiment.expectation));
  }
  html += "<div class=\"figures\">\n";
  for (const NamedFigure& figure : section.figures) {
    html += figure_html(figure);
  }
  html += "</div>\n<h3>What is claimed, and what holds</h3>\n" +
          table_head(result.settings, false) + table_rows(result, false) + kTableEnd +
          proofs_html(result);
  html += fmt::format("<h3>Again</h3>\n<pre><code>{} --output out</code></pre>\n</section>\n",
                      escaped(command_for(result)));
  return html;
}

constexpr const char* kHowToRead = R"html(<section id="reading">
<h2>How to read this</h2>
<p>Each experiment feeds a few tokens to self-attention whose projections are <b>untrained</b>: drawn at random from a seed,
as PyTorch draws them, bit for bit. The heatmap of a single draw invites a story. The histograms show the same measure for
every other seed, and the proofs say what the distribution must be. A finding that another seed turns around is chance.</p>
<p>In a heatmap a row is a query and a column a key; a row sums to 1. The controls leave the projections out.</p>
</section>
)html";

}  // namespace

std::string report_page(const std::vector<ReportSection>& sections) {
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
      "name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n<title>Untrained attention: findings and "
      "chance</title>\n"
      "<style>{}</style>\n</head>\n<body>\n<header class=\"top\">\n<h1>Untrained attention: "
      "findings and chance</h1>\n"
      "<p class=\"lead\">What the attention weights of an untrained head show, what they only seem "
      "to show, and the proof "
      "of which is which.</p>\n<nav><a href=\"#reading\">How to read this</a>",
      kPageStyle);
  for (const ReportSection& section : sections) {
    html += fmt::format("<a href=\"#{}\">{}</a>", escaped(section.result->experiment->name),
                        escaped(section.result->experiment->title));
  }
  html += "<a href=\"#claims\">All claims</a></nav>\n</header>\n<main>\n";
  html += kHowToRead;
  for (const ReportSection& section : sections) {
    html += section_html(section);
  }
  html += "<section id=\"claims\">\n<h2>All claims</h2>\n";
  if (!sections.empty()) {
    html += table_head(sections.front().result->settings, true);
    for (const ReportSection& section : sections) {
      html += table_rows(*section.result, true);
    }
    html += kTableEnd;
  }
  html += fmt::format(
      "<p>A claim of several rows counts in how many of them it holds. Probabilities are shares of "
      "seeds, the smallest and "
      "the largest among the claim's rows; every one lies inside its interval around the exact "
      "value, where all intervals of "
      "an experiment hold at once with probability 99.9 %.</p>\n</section>\n</main>\n"
      "<footer><p>Made by attention.cpp {}. The numbers behind this page are in "
      "experiments.json.</p></footer>\n</body>\n"
      "</html>\n",
      ATTENTION_VERSION);
  return html;
}

}  // namespace attention::cli
